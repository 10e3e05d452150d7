package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"gatehouse.dev/libs/postgres"
)

// The places of a word, the best first.
const (
	placeName = iota + 1
	placeFacts
	placeEntitlement
	placeDescription
	placeEntitlementDescription
)

// maxWord is how much of a word is kept, in letters.
const maxWord = 40

// letters that are written apart without their marks, which normal forms leave as they are.
var plainLetters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i")

// Words are the words of texts, each once, in small letters and without accents.
func Words(texts ...string) []string {
	var out []string
	seen := make(map[string]bool)
	for _, text := range texts {
		plain := strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFKD.String(text))
		for word := range strings.FieldsFuncSeq(plainLetters.Replace(strings.ToLower(plain)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if letters := []rune(word); len(letters) > maxWord {
				word = string(letters[:maxWord])
			}
			if !seen[word] {
				seen[word] = true
				out = append(out, word)
			}
		}
	}
	return out
}

// afterAll stands behind every letter, and so a word with it behind those that the word
// begins.
const afterAll = "\U0010FFFF"

const (
	deleteAppWords = `
delete from catalog_word where app_id = $1 and place = any ($2)`
	insertAppWords = `
insert into catalog_word (organization_id, environment_id, app_id, word, place, uses)
select $2, $3, $1, w.word, w.place, 1 from unnest($4::text[], $5::smallint[]) w (word, place)`
	// Who counts the words of an app waits for others who do, before any of the words.
	lockWords  = `select 1 from app where id = $1 for no key update`
	countWords = `
insert into catalog_word (organization_id, environment_id, app_id, word, place, uses)
select $2, $3, $1, w.word, w.place, w.uses from unnest($4::text[], $5::smallint[], $6::int[]) w (word, place, uses)
on conflict (organization_id, word, app_id, place) do update set uses = catalog_word.uses + excluded.uses`
	deleteUnused = `
delete from catalog_word where organization_id = $2 and app_id = $1 and word = any ($3) and uses <= 0`
	selectWords = `
select words from entitlement where id = $1`
)

// writeAppWords writes the words of an app itself anew.
func writeAppWords(ctx context.Context, tx *postgres.Tx, a App) error {
	var words []string
	var places []int16
	for place, texts := range map[int16][]string{placeName: {a.Name}, placeFacts: append([]string{a.Category}, a.Tags...), placeDescription: {a.Description}} {
		for _, word := range Words(texts...) {
			words, places = append(words, word), append(places, place)
		}
	}
	var b pgx.Batch
	b.Queue(deleteAppWords, a.ID, []int16{placeName, placeFacts, placeDescription})
	b.Queue(insertAppWords, a.ID, a.OrganizationID, a.EnvironmentID, words, places)
	return send(ctx, tx, &b, "write the words of an app")
}

// forgetWords deletes the words of an app and of what it gives.
func forgetWords(ctx context.Context, tx *postgres.Tx, app uuid.UUID) error {
	_, err := tx.Exec(ctx, deleteAppWords, app, []int16{placeName, placeFacts, placeEntitlement, placeDescription, placeEntitlementDescription})
	if err != nil {
		return fmt.Errorf("forget the words of an app: %w", err)
	}
	return nil
}

// wordsOf are the words of an entitlement as its row keeps them; of a deleted one none.
func wordsOf(e Entitlement) string {
	if e.DeleteTime != nil {
		return ""
	}
	all := func(texts ...string) string {
		var b strings.Builder
		for _, word := range Words(texts...) {
			b.WriteString(" " + word)
		}
		return b.String()
	}
	return all(e.Name, e.Ref) + " |" + all(e.Description)
}

// countEntitlement counts the words of an entitlement in those of its app, in place of what
// it had before.
func countEntitlement(ctx context.Context, tx *postgres.Tx, e Entitlement, before, after string) error {
	type key struct {
		word  string
		place int16
	}
	uses := make(map[key]int32)
	count := func(words string, by int32) {
		named, described, _ := strings.Cut(words, "|")
		for _, w := range strings.Fields(named) {
			uses[key{w, placeEntitlement}] += by
		}
		for _, w := range strings.Fields(described) {
			uses[key{w, placeEntitlementDescription}] += by
		}
	}
	count(before, -1)
	count(after, 1)
	var words, fewer []string
	var places []int16
	var counts []int32
	for k, n := range uses {
		if n == 0 {
			continue
		}
		words, places, counts = append(words, k.word), append(places, k.place), append(counts, n)
		if n < 0 {
			fewer = append(fewer, k.word)
		}
	}
	if len(words) == 0 {
		return nil
	}
	var b pgx.Batch
	b.Queue(lockWords, e.AppID)
	b.Queue(countWords, e.AppID, e.OrganizationID, e.EnvironmentID, words, places, counts)
	if len(fewer) > 0 {
		slices.Sort(fewer)
		b.Queue(deleteUnused, e.AppID, e.OrganizationID, fewer)
	}
	return send(ctx, tx, &b, "count the words of an entitlement")
}
