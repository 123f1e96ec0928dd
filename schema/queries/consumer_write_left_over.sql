-- :refs text[]
-- Refs that are known now: is something parked under them still? Who learns a ref holds its row, so that what
-- was parked before is seen and nothing comes after.
UPDATE ref SET left_over = NOT left_over
WHERE ref = ANY(:refs) AND left_over <> EXISTS (SELECT FROM parked p WHERE p.ref = ref.ref)
