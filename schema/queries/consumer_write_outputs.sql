-- :subjects text[]
-- :ids uuid[]
-- :row_ids bytea[]
-- :topics text[]
-- :keys text[]
-- :types text[]
-- :decided timestamptz[]
-- :persons text[]
-- :generations int8[]
-- :categories int2[]
-- :bodies bytea[]
-- :headers bytea[]
-- :recipients text[]
-- :customers text[]
-- :shipments text[]
-- :services text[]
-- :roles text[]
-- :disclosures text[]
-- :fields text[]
-- :purposes text[]
-- :causes text[]
-- :policy int4
-- Ledger and outbox in one: an id that was emitted before is not emitted again, and each row gets its number, in order,
-- only now that the transaction holds its persons (SPEC 5).
WITH given AS (
    SELECT g.* FROM unnest(:subjects, :ids, :row_ids, :topics, :keys, :types, :decided, :persons, :generations, :categories,
                           :bodies, :headers, :recipients, :customers, :shipments, :services, :roles, :disclosures,
                           :fields, :purposes, :causes) WITH ORDINALITY
        g (subject, output_id, row_id, topic, key, type, decided, person, generation, category,
           body, headers, recipient, customer_id, shipment_id, service, role, disclosure_ref,
           fields, purpose, cause, nth)
    WHERE NOT EXISTS (SELECT FROM ledger l WHERE l.subject = g.subject AND l.output_id = g.output_id)
    ORDER BY g.nth
), numbered AS MATERIALIZED (
    SELECT nextval('outbox_seq') AS seq, given.* FROM given
), ledgered AS (
    INSERT INTO ledger (subject, output_id, seq, topic, kind, generation, recipient, customer_id, shipment_id, service,
                        role, disclosure_ref, fields, purpose, cause, decided, policy)
    SELECT subject, output_id, seq, topic, type, generation, recipient, customer_id, shipment_id, service,
           role, disclosure_ref, string_to_array(fields, ','), purpose, cause, decided, :policy
    FROM numbered
), sent AS (
    INSERT INTO outbox (seq, row_id, topic, key, type, output_id, decided, person, generation, category, body, headers)
    SELECT seq, row_id, topic, key, type, output_id, decided, coalesce(person, ''), generation, category, body, headers
    FROM numbered
    RETURNING seq
)
SELECT count(*), max(seq) FROM sent
