-- Recordings of what a CPE went through: switched on by a person, for some sessions and some time, bounded in size.
CREATE TABLE cpe_recordings (
    id {id},
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    started_at bigint NOT NULL,
    started_by text NOT NULL,
    until_at bigint NOT NULL,
    sessions_left bigint NOT NULL,
    ended_at bigint,
    end_reason text NOT NULL,
    lines bigint NOT NULL,
    bytes bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX cpe_recordings_cpe ON cpe_recordings (cpe_id, id);
CREATE INDEX cpe_recordings_until ON cpe_recordings (until_at);

CREATE TABLE cpe_recording_lines (
    recording_id bigint NOT NULL REFERENCES cpe_recordings (id) ON DELETE CASCADE,
    line bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (recording_id, line)
);
