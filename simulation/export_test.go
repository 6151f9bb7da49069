package simulation

// CheckRoll judges one look at a Stable group.
var CheckRoll = checkRoll
