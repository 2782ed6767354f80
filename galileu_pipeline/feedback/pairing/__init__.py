"""From votes to preference pairs, training sets and exports."""
