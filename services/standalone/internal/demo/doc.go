// Package demo loads the organization "Demo" through the public API — sign-up,
// SCIM and REST — so that the first minute shows something real, and runs the
// small SCIM app that the organization provisions into.
//
// What it begins with, six people and three apps, is loaded before Gatehouse is said to
// be ready. Its company follows while people look around: a few calls at a time, under the
// same limits as everybody's, each as the person who makes it.
//
// Loading adds what is missing, so a start that was interrupted is made up for by the
// next. Once the company was loaded whole it is left alone, and what people have changed
// since stays.
package demo
