/**
 * For test servers on this machine. Its key is public, so that nobody may trust it for anything else. It is valid for a
 * century, so that no test fails on a certain day.
 */
export const localhostCertificate = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUENV5C8xsVF4uJC95CL/0XZ/ZeKgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE5NTIxN1oYDzIxMjYxMDMx
MTk1MjE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASJRzn+2jIImKkTNfL/pyKPeYwQH3n6P9H+vjUT9ieA0jP1uou1YMD+
P9+k34i4ErvPjyNGpMx88ZKr+h4fV421o28wbTAdBgNVHQ4EFgQU4PkEDgQMqCac
r5o/NLUpRPvDAx0wHwYDVR0jBBgwFoAU4PkEDgQMqCacr5o/NLUpRPvDAx0wGgYD
VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDRwAwRAIgRf+DfKSJ2G69XCga7AiQBZck0MbJ/o054mSrN8kl9ecCIEyN
72EqIY7/nLprxokAcA6nvv102/VaaeEezB6o4zsC
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY7Y0qK20dBTBwQe+
cEza08LTq7vZV8jAwTLuoFGVujyhRANCAASJRzn+2jIImKkTNfL/pyKPeYwQH3n6
P9H+vjUT9ieA0jP1uou1YMD+P9+k34i4ErvPjyNGpMx88ZKr+h4fV421
-----END PRIVATE KEY-----
`,
}
