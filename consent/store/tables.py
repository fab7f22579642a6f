"""Tables of the consent package: what a decision reads, the stored answers, accounts, sessions and jobs.

Instants are integers, microseconds since 1970 in UTC, so that both databases compare them alike and no driver
re-formats them. Patients are FHIR ids; references are relative FHIR references; photos are numbered, and the number
never changes its photo.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from consent.store.metadata import METADATA

#: SQLite gives a 64-bit rowid to INTEGER PRIMARY KEY alone.
_Number = BigInteger().with_variant(Integer, "sqlite")

site_state = Table(
    "site_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("version", BigInteger, nullable=False),  # settings and memberships: compared by every decision
    Column("epoch", BigInteger, nullable=False),  # what binds everybody's answers: settings, parents of organisations
    Column("stored", Text, nullable=False),  # JSON array: the purposes that have stored answers
    Column("body", Text, nullable=False),  # consent.site.Site as JSON
)

# --- what the record says of people ---------------------------------------------------------------------------------

patient = Table(
    "patient",
    METADATA,
    Column("patient", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),  # compared by every decision
    Column("birth_start", BigInteger),  # span of the birth date; both null: unknown
    Column("birth_end", BigInteger),
    Column("merged_into", String(64)),  # the record it was merged into, itself perhaps merged again
    Column("survivor", String(64), nullable=False, index=True),  # the end of that path, or itself
)

directive = Table(
    "directive",
    METADATA,
    Column("consent", String(64), primary_key=True),
    Column("patient", String(64), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),  # consent.directive.Directive as JSON
)

held = Table(
    "held",
    METADATA,
    Column("consent", String(64), primary_key=True),
    Column("patient", String(64), nullable=False, index=True),
    Column("treatment", Boolean, nullable=False),
)

representation = Table(
    "representation",
    METADATA,
    Column("person", String(128), primary_key=True),  # RelatedPerson/…
    Column("patient", String(64), nullable=False, index=True),
    Column("start", BigInteger),
    Column("end", BigInteger),
)

care_member = Table(
    "care_member",
    METADATA,
    Column("source", String(128), primary_key=True),  # the CareTeam, Encounter or Procedure that names her
    Column("reference", String(128), primary_key=True),
    Column("patient", String(64), nullable=False, index=True),
)

membership = Table(
    "membership",
    METADATA,
    Column("source", String(128), primary_key=True),  # the resource that says so
    Column("position", Integer, primary_key=True),
    Column("member", String(128), nullable=False, index=True),
    Column("of", String(128), nullable=False),  # Organization/…, Group/…, CareTeam/…, PractitionerRole/…
    Column("start", BigInteger),
    Column("end", BigInteger),
)

organization_parent = Table(
    "organization_parent",
    METADATA,
    Column("organization", String(128), primary_key=True),
    Column("parent", String(128), nullable=False),
)

# --- photos ---------------------------------------------------------------------------------------------------------

photo = Table(
    "photo",
    METADATA,
    Column("photo", _Number, primary_key=True, autoincrement=True),
    Column("sop_uid", String(64), nullable=False, unique=True),
    Column("series_uid", String(64), nullable=False, index=True),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("orthanc_id", String(44), nullable=False, unique=True),
    Column("version", BigInteger, nullable=False),  # of facts and state: compared by every decision
    Column("state", String(16), nullable=False),  # arrived, examined, linked; only linked is ever visible
    Column("document", String(64), unique=True),  # id of its DocumentReference
    Column("imaging_study", String(64), index=True),  # id of its ImagingStudy
    Column("patient", String(64), index=True),  # the first patient shown
    Column("taken", BigInteger, index=True),  # start of the capture time's span
    Column("area", String(128)),  # the first region, system|code, for galleries and counts
    Column("view", String(128)),
    Column("procedure", String(64), index=True),  # the first Procedure linked
    Index("ix_photo_state_area", "state", "area", "patient"),  # counts by area read nothing else
    sqlite_autoincrement=True,  # a number never comes back for another photo
)

#: What a photo's decisions are about: apart, so that lists and counts of photos need not read past it.
photo_facts = Table(
    "photo_facts",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # consent.facts.PhotoFacts as JSON; photo.version rises with it
)

#: Every patient whose Consents bind the photo: those shown in it and, for a copy, in any of its sources.
photo_patient = Table(
    "photo_patient",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True),
    Column("patient", String(64), primary_key=True, index=True),
)

photo_link = Table(
    "photo_link",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True),
    Column("reference", String(128), primary_key=True, index=True),  # Procedure/…, Encounter/…, CarePlan/…
)

photo_source = Table(
    "photo_source",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True),  # the copy
    Column("source_uid", String(64), primary_key=True, index=True),  # SOP Instance UID of what it was made from
)

#: Photos that lists by facets have not been told of yet: whoever asks looks at these themselves.
photo_due = Table(
    "photo_due",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True, autoincrement=False),
)

# --- what decisions read before --------------------------------------------------------------------------------------

#: Facts as they were, written when they change and in the same transaction: so a recorded answer can be decided again.
facts_then = Table(
    "facts_then",
    METADATA,
    Column("kind", String(8), primary_key=True),  # patient, photo, site, members; consent
    Column("key", String(128), primary_key=True),  # id, number, source; of a Consent read, the SHA-256 of its body
    Column("version", BigInteger, primary_key=True, autoincrement=False),  # the last in which they held
    Column("until", BigInteger, nullable=False),  # when they ceased to hold
    Column("body", Text, nullable=False),  # JSON
)

# --- stored answers for sets ----------------------------------------------------------------------------------------

decided = Table(
    "decided",
    METADATA,
    Column("purpose", String(32), primary_key=True),
    Column("audience", String(64), primary_key=True),  # channel or project, else *
    Column("photo", _Number, primary_key=True),
    Column("effect", String(8), nullable=False),  # always the opposite of the purpose's default
    Column("patient_version", BigInteger, nullable=False),
    Index("ix_decided_photo", "photo"),
)

#: The photos of :data:`decided` once more, as bits: counts by many values at once read nothing else.
decided_bits = Table(
    "decided_bits",
    METADATA,
    Column("purpose", String(32), primary_key=True),
    Column("audience", String(64), primary_key=True),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("bits", LargeBinary, nullable=False),  # consent.bits.packed
)

patient_state = Table(
    "patient_state",
    METADATA,
    Column("patient", String(64), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("stale", Boolean, nullable=False),  # stored answers are older than the facts
    Column("live", Boolean, nullable=False),  # rules name actors or groups: stored answers would not be true for all
    Column(
        "valid_from", BigInteger, nullable=False
    ),  # when the answers were decided; a clock put back stands before it
    Column("valid_until", BigInteger),  # the earliest moment at which an answer may change by itself
    Column("epoch", BigInteger, nullable=False),  # site_state.epoch that the answers were decided under
    Index("ix_patient_state_unsettled", "purpose", "stale", "live", "valid_until"),
    Index("ix_patient_state_from", "purpose", "valid_from"),
    Index("ix_patient_state_epoch", "purpose", "epoch"),
)

# --- accounts, sessions, emergency grants ---------------------------------------------------------------------------

account = Table(
    "account",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("password", Text),  # scrypt, in the form scrypt$N$r$p$salt$hash; null: no password sign-in
    Column("active", Boolean, nullable=False),
    Column("purposes", Text, nullable=False),  # JSON array of codes, in order
    Column("rights", Text, nullable=False),  # JSON array
    Column("reference", String(128)),
    Column("confined_to", String(64)),  # patient id
    Column("own_patient", String(64)),
    Column("display", Text),
)

login_session = Table(
    "login_session",
    METADATA,
    Column("token_hash", LargeBinary(32), primary_key=True),  # SHA-256 of the cookie's value
    Column("account", String(64), nullable=False, index=True),
    Column("account_version", BigInteger, nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("shown", String(16)),  # how the screen is turned to somebody else; null: its owner is at it
    Column("shown_to", String(64)),  # patient id
    Column("attempts", Integer, nullable=False, server_default="0"),  # to take it back
)

#: Short secrets that open nothing but a session which its owner has turned to somebody else.
account_pin = Table(
    "account_pin",
    METADATA,
    Column("account", String(64), ForeignKey("account.name"), primary_key=True),
    Column("pin", Text, nullable=False),  # scrypt, as an account's password
    Column("changed", BigInteger, nullable=False),
)

#: DICOM application entities of other systems: who may call the gateway, and where it may send photos.
dimse_peer = Table(
    "dimse_peer",
    METADATA,
    Column("ae_title", String(16), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("purpose", String(32), nullable=False),  # the one purpose of all that it does
    Column("channel", String(64)),
    Column("project", String(64)),
    Column("networks", Text, nullable=False),  # JSON array of addresses and networks that it may call from
    Column("fingerprint", String(64)),  # SHA-256 of the certificate that it must show, hexadecimal
    Column("host", String(255)),  # null: nothing is sent to it
    Column("port", Integer),
    Column("tls", Boolean, nullable=False),
)

emergency_grant = Table(
    "emergency_grant",
    METADATA,
    Column("grant", String(36), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("patient", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

# --- who vouches for whom, and who guesses ----------------------------------------------------------------------------

identity_policy = Table(
    "identity_policy",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("version", BigInteger, nullable=False),  # compared by whoever remembers a token
    Column("body", Text, nullable=False),  # consent.identity.policy.Policy as JSON
)

account_identity = Table(
    "account_identity",
    METADATA,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
)

issuer_state = Table(
    "issuer_state",
    METADATA,
    Column("issuer", String(255), primary_key=True),
    Column("fetched", BigInteger),  # when its keys were last received; null: never
    Column("tried", BigInteger),
    Column("wanted", BigInteger),  # since when a key is asked for that is not known
    Column("metadata", Text, nullable=False),  # of its discovery document: the addresses that sign-in needs
)

issuer_key = Table(
    "issuer_key",
    METADATA,
    Column("issuer", String(255), primary_key=True),
    Column("kid", String(255), primary_key=True),
    Column("jwk", Text, nullable=False),  # the public key alone
    Column("seen", BigInteger, nullable=False),  # when the issuer last published it
)

sign_in_attempt = Table(
    "sign_in_attempt",
    METADATA,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of what is counted
    Column("name_hash", LargeBinary(32), index=True),  # SHA-256 of the account's name, where one was given
    Column("failures", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),  # nothing is looked at before
    Column("last", BigInteger, nullable=False),
    Column("known", BigInteger),  # the right password was last given from this address
    Column("expires", BigInteger, nullable=False, index=True),
)

# --- work that nobody waits for -------------------------------------------------------------------------------------

job = Table(
    "job",
    METADATA,
    Column("job", _Number, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("key", String(200), nullable=False),  # what it is about; one waiting job for each kind and key
    Column("body", Text, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("lease_until", BigInteger),  # null: free
    Column("lease_by", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("revision", Integer, nullable=False),  # rises when it is asked for again, also while somebody works on it
    Column("error", Text),
    Index("uq_job_kind_key", "kind", "key", unique=True),
    Index("ix_job_not_before", "not_before"),
)

# --- the audit, where the database is PostgreSQL (on SQLite each chain has a file of its own) ------------------------

audit_record = Table(
    "audit_record",
    METADATA,
    Column("chain", String(96), primary_key=True),  # node/role/slot
    Column("sequence", BigInteger, primary_key=True),
    Column("recorded", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),  # canonical JSON, UTF-8
    Column("hash", LargeBinary(32), nullable=False),  # SHA-256 of the former hash and the body
)

#: Signed heads of the chains; each is copied to a second place.
audit_checkpoint = Table(
    "audit_checkpoint",
    METADATA,
    Column("chain", String(96), primary_key=True),
    Column("size", BigInteger, primary_key=True),  # sequence of the last record that it covers
    Column("note", Text, nullable=False),  # C2SP signed note
    Column("copied", Boolean, nullable=False, index=True),
)
