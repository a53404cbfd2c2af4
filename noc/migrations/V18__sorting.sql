-- For lists of appliances in another order than the one in which they became known. Each begins with what the list is sorted by, in the
-- words of `store/sorting.rs`, which must say the same; the number makes the order whole, and whose an appliance is spares a look
-- at its row. Nothing of it changes with a beat. There was one for MAC addresses already.
CREATE INDEX appliances_sorted_by_name ON appliances
    (lower(coalesce(nullif(json_extract(settings, '$.host_name'), ''), serial)), id, organisation, site);
CREATE INDEX appliances_sorted_by_address ON appliances
    (CASE WHEN json_valid('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']')
     THEN json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[0]') * 16777216
        + json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[1]') * 65536
        + json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[2]') * 256
        + json_extract('[' || replace(json_extract(settings, '$.address'), '.', ',') || ']', '$[3]')
     ELSE -1 END, id, organisation, site);
CREATE INDEX appliances_sorted_by_model ON appliances (lower(model), id, organisation, site);
CREATE INDEX appliances_sorted_by_serial ON appliances (lower(serial), id, organisation, site);
-- The worst first.
CREATE INDEX appliances_sorted_by_health ON appliances
    (CASE health WHEN 'silent' THEN 0 WHEN 'unreachable' THEN 1 WHEN 'failing' THEN 2 WHEN 'never_reported' THEN 3 WHEN 'late' THEN 4
     WHEN 'recovering' THEN 5 WHEN 'maintenance' THEN 6 WHEN 'well' THEN 7 ELSE 8 END, id, organisation, site);
CREATE INDEX appliances_sorted_by_provisioning ON appliances
    (CASE provisioning WHEN 'failed' THEN 0 WHEN 'granted' THEN 1 WHEN 'known' THEN 2 WHEN 'configured' THEN 3
     WHEN 'decommissioned' THEN 4 ELSE 5 END, id, organisation, site);
