-- What is being sent, by node: claims of one that is gone are found by it, however much waits. Its condition is not `state = 1`:
-- statements that look a delivery up by its key say that, and must have no other index to choose.
CREATE INDEX delivery_sending ON delivery_open (node_id, claimed_ms) WHERE node_id IS NOT NULL;
