FETCH 500 FROM walk_permissions
