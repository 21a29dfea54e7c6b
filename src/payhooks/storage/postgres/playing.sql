Sandbox runs.

-- name: count_runs
SELECT count(*) FILTER (WHERE state = 'playing') AS playing, count(*) AS kept
FROM sandbox_runs WHERE merchant_id = $1

-- name: forget_runs
DELETE FROM sandbox_runs r USING (
  SELECT o.id FROM sandbox_runs o WHERE o.merchant_id = $1 AND o.state <> 'playing'
  ORDER BY o.id LIMIT $2
) AS old WHERE r.merchant_id = $1 AND r.id = old.id

-- name: insert_run
INSERT INTO sandbox_runs (merchant_id, id, state, revision, document) VALUES ($1, $2, $3, $4, $5)

-- name: run
SELECT document FROM sandbox_runs WHERE merchant_id = $1 AND id = $2

-- name: runs
SELECT document FROM sandbox_runs WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- name: claim
WITH free AS MATERIALIZED (
  SELECT r.merchant_id, r.id FROM sandbox_runs r
  WHERE r.state = 'playing' AND r.held_until <= payhooks_now() + make_interval(
    secs => CASE WHEN r.owner = $1 THEN $3::float8 / 2 ELSE 0 END)
  ORDER BY coalesce(r.owner = $1, false) DESC, r.id LIMIT $2 FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE sandbox_runs r SET owner = $1, held_until = payhooks_now() + make_interval(secs => $3)
  FROM free f WHERE r.merchant_id = f.merchant_id AND r.id = f.id
  RETURNING r.id, r.document
)
SELECT document FROM claimed ORDER BY id

-- name: write
UPDATE sandbox_runs SET (state, revision, document) = ($3, $4, $5)
WHERE merchant_id = $1 AND id = $2 AND revision = $4 - 1 RETURNING id
