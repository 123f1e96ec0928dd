SELECT reason, count(*), max(decided) FROM dead_letter GROUP BY reason ORDER BY 2 DESC, 1
