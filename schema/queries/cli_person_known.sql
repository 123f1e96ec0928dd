-- :person text
SELECT EXISTS (SELECT FROM person WHERE person = :person)
