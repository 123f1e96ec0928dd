-- :person_list text[]
-- :generation_list int8[]
-- :category_list int2[]
-- :cells_list int4[]
-- :transit_list int4[]
-- :at timestamptz
INSERT INTO doomed AS old (person, generation, category, cells, transit, at)
SELECT n.*, :at FROM unnest(:person_list, :generation_list, :category_list, :cells_list, :transit_list) n
ON CONFLICT (person, generation, category) DO UPDATE SET
    cells = greatest(old.cells, excluded.cells), transit = greatest(old.transit, excluded.transit)
