-- When the mirror was last written.
SELECT max(published) FROM mirror
