package inbox_test

import (
	"testing"

	"gatehouse.dev/libs/filter/filtertest"
	"gatehouse.dev/libs/inbox"
)

func TestListSaysWhatItIsFilteredBy(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", inbox.ParkedList)
}
