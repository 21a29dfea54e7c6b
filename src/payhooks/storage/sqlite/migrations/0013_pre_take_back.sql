-- A cancelled replay is taken back in slices. Until nothing of it waits its member running is 2:
-- whoever claims jobs then finishes what was begun.
CREATE INDEX replays_open ON replays (claimed_until) WHERE running > 0;
DROP INDEX replays_running;
