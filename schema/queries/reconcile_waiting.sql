-- Requests' cuts of which something waits.
SELECT person, subject, cut FROM tombstone
WHERE NOT complete AND valid AND cause = 'request' AND person IS NOT NULL ORDER BY person, cut
