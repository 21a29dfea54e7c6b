-- Only code of before asks for jobs that run and for no others.
DROP INDEX replays_running;
