"""Photos from before: folders, ZIPs and dumps that become part of the record, with what is known of each."""
