"""What decisions read of the record, written in the same transaction as the resource itself."""
