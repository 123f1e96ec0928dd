SELECT topic, state, count(*) FROM publication WHERE state IN ('withheld', 'unpublishable', 'handed_over')
GROUP BY topic, state ORDER BY topic, state
