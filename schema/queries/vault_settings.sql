-- Of the vault and of the register: what tells that the two belong together.
SELECT name, value FROM setting WHERE name IN ('vault_id', 'kek_check', 'counter');
