DECLARE walk_suppressions NO SCROLL CURSOR FOR
SELECT hash, merge FROM address WHERE armed ORDER BY hash COLLATE "C"
