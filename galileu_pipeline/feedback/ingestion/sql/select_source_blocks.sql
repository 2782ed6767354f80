-- What was last read of a table of the chatbot's file.
SELECT block, signature, positions, digests FROM source_blocks WHERE source = $source;
