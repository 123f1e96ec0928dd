-- :requests text[]
SELECT request_id, revision, merge FROM request WHERE request_id = ANY(:requests)
