DELETE FROM source_blocks WHERE source = $source AND block IN (SELECT unnest($blocks::BIGINT[]));
