package service

// RunMain is Main without signals and without the process's environment.
var RunMain = runMain

// Argument answers an argument.
var Argument = argument

// ParseFile reads the file of settings.
var ParseFile = parseFile
