SELECT policy, digest, active, activated, body::jsonb ->> 'version' FROM policy ORDER BY activated DESC, policy DESC
