SELECT split_of($query_key);
