package blob

// syncDir does nothing: Windows has no handle of a folder that can be flushed, and NTFS journals names by itself.
func syncDir(string) error { return nil }
