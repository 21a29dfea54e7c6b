-- Counts by step. The endpoint of a merchant as a whole is the id that is all zeroes.

-- name: add
INSERT INTO tallies (
  merchant_id, endpoint_id, step_s, at, accepted, delivered, failed, attempts, attempts_failed,
  took_50, took_100, took_200, took_500, took_1000, took_2000, took_5000, took_15000, took_more)
VALUES :rows
ON CONFLICT (merchant_id, endpoint_id, step_s, at) DO UPDATE SET
  accepted = accepted + excluded.accepted, delivered = delivered + excluded.delivered,
  failed = failed + excluded.failed, attempts = attempts + excluded.attempts,
  attempts_failed = attempts_failed + excluded.attempts_failed,
  took_50 = took_50 + excluded.took_50, took_100 = took_100 + excluded.took_100,
  took_200 = took_200 + excluded.took_200, took_500 = took_500 + excluded.took_500,
  took_1000 = took_1000 + excluded.took_1000, took_2000 = took_2000 + excluded.took_2000,
  took_5000 = took_5000 + excluded.took_5000, took_15000 = took_15000 + excluded.took_15000,
  took_more = took_more + excluded.took_more;

-- name: of_merchant
SELECT
  merchant_id, endpoint_id, step_s, at, accepted, delivered, failed, attempts, attempts_failed,
  took_50, took_100, took_200, took_500, took_1000, took_2000, took_5000, took_15000, took_more
FROM tallies
WHERE merchant_id = ? AND endpoint_id = ? AND step_s = ? AND at >= ? AND at < ?
ORDER BY at;

-- name: of_endpoints
SELECT
  merchant_id, endpoint_id, step_s, at, accepted, delivered, failed, attempts, attempts_failed,
  took_50, took_100, took_200, took_500, took_1000, took_2000, took_5000, took_15000, took_more
FROM tallies
WHERE merchant_id = ? AND endpoint_id IN (SELECT value FROM carray(?)) AND step_s = ? AND at >= ?
ORDER BY endpoint_id, at;

-- name: totals
SELECT merchant_id, endpoint_id, step_s, ?4,
  sum(accepted), sum(delivered), sum(failed), sum(attempts), sum(attempts_failed),
  sum(took_50), sum(took_100), sum(took_200), sum(took_500), sum(took_1000), sum(took_2000),
  sum(took_5000), sum(took_15000), sum(took_more)
FROM tallies INDEXED BY tallies_hours
WHERE merchant_id = ?1 AND endpoint_id <> ?2 AND step_s = ?3 AND at >= ?4
GROUP BY endpoint_id HAVING sum(attempts) > 0
ORDER BY sum(attempts) DESC, endpoint_id LIMIT ?5;

-- name: forget
DELETE FROM tallies WHERE (merchant_id, endpoint_id, step_s, at) IN (
  SELECT merchant_id, endpoint_id, step_s, at FROM tallies INDEXED BY tallies_age
  WHERE step_s = ? AND at < ? LIMIT ?);
