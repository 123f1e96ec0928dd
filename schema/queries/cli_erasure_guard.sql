-- :person text
SELECT merge FROM person WHERE person = :person AND generation = -1
