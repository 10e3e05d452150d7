package service

// RunMain is Main without signals and without the process's environment.
var RunMain = runMain

// Usage answers arguments.
var Usage = usage
