-- Every index here has a query that the plan tests hold to it. Each costs the hot path
-- 2 to 5 microseconds an event, so another one needs a reason.

-- lease: what is due in one lane, in the order in which it goes out.
CREATE INDEX queue_due ON queue (endpoint_id, due_at, position) WHERE state = 0;
-- expire: leases that ran out.
CREATE INDEX queue_lease ON queue (lease_until) WHERE state = 1;
-- fold: the first of an ordered object …
CREATE INDEX queue_blocked ON queue (endpoint_id, order_key, position) WHERE state = 2;
-- … which may go only where none of it is on its way: the index itself refuses a second one.
CREATE UNIQUE INDEX queue_active ON queue (endpoint_id, order_key)
  WHERE order_key IS NOT NULL AND state < 2;
CREATE INDEX queue_replay ON queue (replay_id, endpoint_id) WHERE replay_id IS NOT NULL;

CREATE INDEX lanes_look ON lanes (look_at) WHERE state = 0;
CREATE INDEX lanes_deleted ON lanes (endpoint_id) WHERE state = 3 AND swept = 0;
CREATE INDEX lanes_listening ON lanes (listened_at) WHERE state = 4;
CREATE INDEX lanes_failing ON lanes (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX wakes_lane ON wakes (endpoint_id);

CREATE INDEX events_object ON events (merchant_id, object_id, id) WHERE object_id IS NOT NULL;
CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_failed ON deliveries (endpoint_id, id) WHERE state = 4;

CREATE INDEX endpoints_merchant ON endpoints (merchant_id, id);
CREATE INDEX secrets_owner ON secrets (merchant_id, owner_id, created_at);
CREATE INDEX api_keys_merchant ON api_keys (merchant_id, id);
CREATE INDEX replays_merchant ON replays (merchant_id, id);
CREATE INDEX replays_running ON replays (claimed_until) WHERE running = 1;
