-- Counts by step. The endpoint of a merchant as a whole is the id that is all zeroes.

-- In the order of the key: processes that add to the same rows wait, and never for each other.
-- name: add
INSERT INTO tallies AS t (
  merchant_id, endpoint_id, step_s, at, accepted, delivered, failed, attempts, attempts_failed,
  took_50, took_100, took_200, took_500, took_1000, took_2000, took_5000, took_15000, took_more)
SELECT u.* FROM unnest(
  $1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[],
  $5::int[], $6::int[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[], $12::int[],
  $13::int[], $14::int[], $15::int[], $16::int[], $17::int[], $18::int[]) AS u (
  merchant_id, endpoint_id, step_s, at, accepted, delivered, failed, attempts, attempts_failed,
  took_50, took_100, took_200, took_500, took_1000, took_2000, took_5000, took_15000, took_more)
ORDER BY u.merchant_id, u.endpoint_id, u.step_s, u.at
ON CONFLICT (merchant_id, endpoint_id, step_s, at) DO UPDATE SET
  accepted = t.accepted + excluded.accepted, delivered = t.delivered + excluded.delivered,
  failed = t.failed + excluded.failed, attempts = t.attempts + excluded.attempts,
  attempts_failed = t.attempts_failed + excluded.attempts_failed,
  took_50 = t.took_50 + excluded.took_50, took_100 = t.took_100 + excluded.took_100,
  took_200 = t.took_200 + excluded.took_200, took_500 = t.took_500 + excluded.took_500,
  took_1000 = t.took_1000 + excluded.took_1000, took_2000 = t.took_2000 + excluded.took_2000,
  took_5000 = t.took_5000 + excluded.took_5000,
  took_15000 = t.took_15000 + excluded.took_15000, took_more = t.took_more + excluded.took_more

-- name: of_merchant
SELECT * FROM tallies
WHERE merchant_id = $1 AND endpoint_id = $2 AND step_s = $3 AND at >= $4 AND at < $5
ORDER BY at

-- name: of_endpoints
SELECT * FROM tallies
WHERE merchant_id = $1 AND endpoint_id = ANY ($2::uuid[]) AND step_s = $3 AND at >= $4
ORDER BY endpoint_id, at

-- name: totals
SELECT merchant_id, endpoint_id, step_s, $4::timestamptz AS at,
  sum(accepted)::int8 AS accepted, sum(delivered)::int8 AS delivered,
  sum(failed)::int8 AS failed, sum(attempts)::int8 AS attempts,
  sum(attempts_failed)::int8 AS attempts_failed, sum(took_50)::int8 AS took_50,
  sum(took_100)::int8 AS took_100, sum(took_200)::int8 AS took_200,
  sum(took_500)::int8 AS took_500, sum(took_1000)::int8 AS took_1000,
  sum(took_2000)::int8 AS took_2000, sum(took_5000)::int8 AS took_5000,
  sum(took_15000)::int8 AS took_15000, sum(took_more)::int8 AS took_more
FROM tallies WHERE merchant_id = $1 AND endpoint_id <> $2 AND step_s = $3 AND at >= $4
GROUP BY merchant_id, endpoint_id, step_s HAVING sum(attempts) > 0
ORDER BY sum(attempts) DESC, endpoint_id LIMIT $5

-- name: forget
WITH gone AS (
  DELETE FROM tallies t WHERE t.ctid = ANY (ARRAY(
    SELECT x.ctid FROM tallies x WHERE x.step_s = $1 AND x.at < $2
    ORDER BY x.at LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING 1
) SELECT count(*) AS count FROM gone
