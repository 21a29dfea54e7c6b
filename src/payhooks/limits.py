"""Every limit of the product, in one place, each with its reason."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# --- what a publisher may send ---------------------------------------------------------
EVENT_BODY_BYTES_MAX: Final = 256 * KIB  # Providers' largest samples are below 20 KiB.
BATCH_EVENTS_MAX: Final = 1_000
BATCH_BODY_BYTES_MAX: Final = 4 * MIB
JSON_DEPTH_MAX: Final = 32  # Deeper than any payment object; shallow enough for every parser.
METADATA_BYTES_MAX: Final = 8 * KIB
# Kept with the event. More than so many dialects that refuse it show as failed deliveries alone.
EVENT_FINDINGS_MAX: Final = 10
FINDING_CHARS_MAX: Final = 400
IDEMPOTENCY_KEY_CHARS_MAX: Final = 255
EVENT_TYPE_CHARS_MAX: Final = 128
SCHEMA_BYTES_MAX: Final = 64 * KIB  # Ten times the largest that we ship.
EXAMPLE_BYTES_MAX: Final = 64 * KIB
OBJECT_ID_CHARS_MAX: Final = 255
ENDPOINTS_PER_EVENT_MAX: Final = 10_000  # One transaction must stay well under a second.
# Skew both ways that an occurred_at may have before it is surely a mistake.
OCCURRED_AT_YEARS: Final = range(2000, 2101)

# --- what a merchant may set -----------------------------------------------------------
URL_CHARS_MAX: Final = 2_048
LABEL_CHARS_MAX: Final = 80
PATTERNS_PER_ENDPOINT_MAX: Final = 100
CUSTOM_HEADERS_MAX: Final = 20
CUSTOM_HEADER_BYTES_MAX: Final = 4 * KIB
ENDPOINTS_PER_MERCHANT_MAX: Final = 50_000
CONNECTORS_PER_MERCHANT_MAX: Final = 100  # Their secrets are in memory with the routing.
KEYS_PER_MERCHANT_MAX: Final = 100
LIVE_SECRETS_MAX: Final = 5  # Signatures per request while rotating fast; headers stay small.
ROTATION_GRACE_S_MAX: Final = 7 * 86_400
RETRY_DELAYS_MAX: Final = 100
RETRY_DELAY_S_MAX: Final = 30 * 86_400  # Adyen's thirty days, the longest in the field.
# Of edits at once one is always first: who names no version needs no more tries than there are.
EDIT_TRIES_MAX: Final = 20
PAGE_SIZE_MAX: Final = 100
PAGE_SIZE_DEFAULT: Final = 20

# --- people ----------------------------------------------------------------------------
USERNAME_CHARS_MAX: Final = 64
EMAIL_CHARS_MAX: Final = 254  # RFC 5321, what an address in a mail can have
PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 256  # Long sentences fit; hashing one costs no more than another.
MEMBERS_PER_MERCHANT_MAX: Final = 500
TEAMS_PER_USER_MAX: Final = 500  # read with each request of theirs
INVITATIONS_PER_MERCHANT_MAX: Final = 100  # that wait
INVITATION_DAYS: Final = 7
SESSIONS_PER_USER_MAX: Final = 20
SESSION_IDLE_S: Final = 15 * 60
SESSION_S_MAX: Final = 12 * 3600
SESSION_SEEN_EVERY_S: Final = 60  # a write per page would be one too many
FRESH_FACTOR_S: Final = 5 * 60  # for what cannot be undone, and for secrets
RECOVERY_CODES: Final = 10
# Hashing takes 19 MiB and a core for 60 ms: so many at once, and so many wait.
PASSWORDS_AT_ONCE: Final = 2
PASSWORDS_WAITING_MAX: Final = 64
# Each takes 0.1 s at most: who waits behind so many is told to come back.
DIAGNOSES_WAITING_MAX: Final = 16
MAIL_TIMEOUT_S: Final = 10.0

# --- sending ---------------------------------------------------------------------------
TIMEOUT_S_DEFAULT: Final = 15.0
TIMEOUT_S_MAX: Final = 45.0
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_READ_BYTES_MAX: Final = 64 * KIB
ANSWER_HEADER_BYTES_MAX: Final = 32 * KIB
ANSWER_KEPT_BYTES_MAX: Final = 16 * KIB  # kept of a failure
ANSWER_KEPT_ON_SUCCESS_BYTES_MAX: Final = 1 * KIB  # a success needs no evidence
RESOLVED_ADDRESSES_MAX: Final = 16
RETRY_AFTER_S_MAX: Final = 86_400.0  # A receiver may not silence us for longer than a day.
CERTIFICATE_WARNING_DAYS: Final = 14  # Time to renew one by hand, a holiday included.
SLOTS_PER_PROCESS: Final = 1_024  # requests under way at once
IN_FLIGHT_PER_LANE: Final = 20
IN_FLIGHT_PER_UNPROVEN_LANE: Final = 4  # until the first success, so that strangers cost little
WAITING_PER_LANE_MAX: Final = 1_000
WAITING_PER_PROCESS_MAX: Final = 8_000
WAIT_IN_MEMORY_S_MAX: Final = 5.0  # then given back to the store
# Of deliveries that two processes in a row died with: a death says nothing of so many, and they
# are sent at more than one for each answer that is slow to come.
PROBATION_TOGETHER_MAX: Final = 64
# A lease outlives wait + timeout by this margin, so it is never renewed.
LEASE_MARGIN_S: Final = 10.0

# --- group commit ----------------------------------------------------------------------
ACCEPT_BATCH_EVENTS_MAX: Final = 256
ACCEPT_BATCH_BYTES_MAX: Final = 1 * MIB
ACCEPT_BATCH_DELIVERIES_MAX: Final = 2_000
ACCEPT_WAITING_MAX: Final = 2_000
ACCEPT_WAITING_BYTES_MAX: Final = 16 * MIB
ACCEPT_LINGER_S: Final = 0.001  # only when the last batch had company
# After this long an unanswered accept is told 503; feed cursors rely on it (ADR 0004).
ACCEPT_GIVE_UP_S: Final = 30.0
SETTLE_BATCH_MAX: Final = 500
SETTLE_LINGER_S: Final = 0.010  # nobody waits for a settle
SETTLE_WAITING_MAX: Final = 20_000

# --- the store -------------------------------------------------------------------------
SLICE_ROWS_MAX: Final = 500  # of background work in one transaction: about 5 ms
# Read with their events by replays and reconcile: about 15 ms, half of it without the event loop's
# turn. An event that has more is read alone.
FACTS_DELIVERIES_MAX: Final = 5_000
STATEMENT_TIMEOUT_S: Final = 2.0
LOCK_TIMEOUT_S: Final = 0.25
CLOCK_SKEW_S_MAX: Final = 2.0
PARTITIONS_AHEAD_DAYS: Final = 7
ANSWER_KEPT_DAYS: Final = 7
SAID_KEPT_DAYS: Final = 800  # Of receipts that are gone: a dispute comes as late as 540 days.
TALLY_MINUTES_DAYS: Final = 2  # The longest chart that has steps of less than an hour is a day.
TALLY_HOURS_DAYS: Final = 32  # The longest of all is 30 days.
WORKER_SILENT_S: Final = 30.0  # six heartbeats missed: it is gone or hangs
