-- What a notice covers, by name: each part ends in U+001F, each disclosure in U+001E.
DECLARE walk_notices NO SCROLL CURSOR FOR
SELECT n.person, n.notice_ref, n.merge, n.ground_until, n.ground, d.disclosed
FROM notice n
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(part, '' ORDER BY part COLLATE "C"), '') AS disclosed
    FROM (SELECT DISTINCT coalesce(l.shipment_id, '') || E'\x1f' || coalesce(l.service, '') || E'\x1f' ||
                 coalesce(l.role, '') || E'\x1f\x1e' AS part
          FROM ledger l WHERE l.subject = n.person AND l.disclosure_ref = ANY (n.disclosures)) parts) d
ORDER BY n.recipient COLLATE "C", n.person COLLATE "C", n.generation, n.kind COLLATE "C", n.cause COLLATE "C",
         d.disclosed COLLATE "C", n.notice_ref COLLATE "C"
