-- Lanes leased for the default time-out (30 s with wait and margin), whatever their endpoint's
-- dialect allows: a request could outlive its lease, and was made again beside itself. Not named:
-- dialects that allow no more. Of one that came with another distribution only the greatest
-- time-out that there may be is known here.
UPDATE lanes SET lease_us = CASE json_extract(CAST(e.document AS TEXT), '$.dialect')
  WHEN 'owngateway' THEN 45000000 WHEN 'hyperswitch' THEN 45000000 ELSE 60000000 END
FROM endpoints AS e
WHERE e.id = lanes.endpoint_id AND lanes.lease_us = 30000000
AND json_extract(CAST(e.document AS TEXT), '$.timeout_s') IS NULL
AND coalesce(json_extract(CAST(e.document AS TEXT), '$.dialect'), 'standard') NOT IN
  ('standard', 'treezor', 'foloosi', 'owlpay', 'stripe', 'cloudevents', 'custom');
