package authz

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"gatehouse.dev/libs/apierr"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

// CertificateNames are the names (DNS) of the one at the other end of a connection,
// whose certificate the authority has signed; nil without such a certificate.
func CertificateNames(s tls.ConnectionState) []string {
	if len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return nil
	}
	return s.VerifiedChains[0][0].DNSNames
}

// checkCertificate holds callers to the certificate that they come with, where there
// is TLS. A service's token is good with the certificate of that service alone; and
// whoever has a service's certificate calls as that service and as nobody else, but
// for what is public. Other certificates of the authority, as the gateway's, are for
// calls with people's tokens.
func checkCertificate(ctx context.Context, r rule, c Caller) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	names := CertificateNames(info.State)
	if c.IsService() {
		if !slices.Contains(names, strings.TrimPrefix(c.Subject, clientPrefix)) {
			return apierr.Denied(ReasonCertificateNotAllowed, "the token is of another client than the certificate")
		}
		return nil
	}
	ofService := slices.ContainsFunc(Audiences(), func(service string) bool { return slices.Contains(names, service) })
	if ofService && !r.has(authzv1.Caller_CALLER_PUBLIC) {
		return apierr.Denied(ReasonCertificateNotAllowed, "a service calls with its own token only")
	}
	return nil
}

// ReasonCertificateNotAllowed is the reason of the error of a call whose certificate
// does not go with its token.
const ReasonCertificateNotAllowed = "CERTIFICATE_NOT_ALLOWED"
