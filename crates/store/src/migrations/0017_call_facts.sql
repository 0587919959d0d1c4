-- What was seen of a connection request on its way, as JSON; null where nothing was sent, or before this was kept.
ALTER TABLE connection_requests ADD COLUMN seen text NOT NULL DEFAULT 'null';
