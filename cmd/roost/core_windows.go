package main

func noCore() {} // Windows writes none unless its administrator wants it
