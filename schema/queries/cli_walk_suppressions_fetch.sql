FETCH 500 FROM walk_suppressions
