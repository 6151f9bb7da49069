// Package consumergroup is a stub.
package consumergroup
