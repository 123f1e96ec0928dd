DECLARE walk_requests NO SCROLL CURSOR FOR
SELECT request_id, merge FROM request ORDER BY request_id COLLATE "C"
