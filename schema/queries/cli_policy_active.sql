SELECT policy, digest, active, activated, body FROM policy WHERE active
