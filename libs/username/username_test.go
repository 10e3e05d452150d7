package username_test

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/username"
)

func TestFault(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"ada@corp.example":                     "",
		"ADA@Corp.Example":                     "",
		`CORP\ada`:                             "",
		"ada byron":                            "",
		"ada+test_1#EXT#@corp.onmicrosoft.com": "",
		"zoë.ångström@corp.example":            "",
		"zoe\u0308@corp.example":               "", // decomposed
		"ａｄａ＠ｃｏｒｐ．example":                     "", // wide
		"李小龙@corp.example":                     "",
		"محمد@corp.example":                    "",
		"":                                     "empty",
		" ada":                                 "begin",
		"ada ":                                 "end",
		"ada  byron":                           "two in a row",
		"ada\u3000":                            "end",
		"ada\tbyron":                           "U+0009",
		"ada\x00":                              "U+0000",
		"ada\u200e@corp.example":               "U+200E",
		"ada\u202e@corp.example":               "U+202E",
		"ada\u200b":                            "U+200B",
		"ada\u00ad":                            "U+00AD",
		"ada\ufeff":                            "U+FEFF",
		"ﬁona":                                 "U+FB01", // a ligature, another name than fiona
		"ada\u2028":                            "end",
		"adaمحمد":                              "mix",
	} {
		got := username.Fault(name)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
