-- Sandbox runs.

-- name: count_runs
SELECT coalesce(sum(playing), 0), count(*) FROM sandbox_runs WHERE merchant_id = ?;

-- name: forget_runs
DELETE FROM sandbox_runs WHERE id IN (
  SELECT id FROM sandbox_runs WHERE merchant_id = ? AND playing = 0 ORDER BY id LIMIT ?
);

-- name: insert_run
INSERT INTO sandbox_runs (id, merchant_id, playing, revision, document) VALUES (?1, ?2, 1, ?3, ?4);

-- name: run
SELECT document FROM sandbox_runs WHERE id = ? AND merchant_id = ?;

-- name: runs
SELECT document FROM sandbox_runs WHERE merchant_id = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: free_runs
SELECT id, document FROM sandbox_runs INDEXED BY sandbox_runs_playing
WHERE playing = 1 AND claimed_until <= iif(owner IS ?1, ?3, ?2)
ORDER BY owner IS ?1 DESC, id LIMIT ?4;

-- name: claim_run
UPDATE sandbox_runs SET owner = ?2, claimed_until = ?3 WHERE id = ?1;

-- name: write_run
UPDATE sandbox_runs SET revision = ?3, playing = ?4, document = ?5
WHERE id = ?1 AND merchant_id = ?2 AND revision = ?3 - 1;

-- name: give_back_runs
UPDATE sandbox_runs SET claimed_until = 0 WHERE playing = 1;
