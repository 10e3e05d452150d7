import { useTranslation } from "react-i18next";
import { Problem } from "@/api/problem";
import { Button } from "./Button";

/** What went wrong, in the API's words, with what is wrong with each field that is not shown beside it. */
export function ProblemNote({ error, again, shown = [] }: { error: unknown; again?: () => void; shown?: readonly string[] }) {
  const { t } = useTranslation();
  const problem = error instanceof Problem ? error : new Problem(0, "", "");
  const fields = Object.entries(problem.fields).filter(([field]) => !shown.includes(field));
  return (
    <div className="note stack tight" data-tone="bad" role="alert">
      <p>{problem.status === 0 ? t("noAnswer") : problem.reason === "ETAG_MISMATCH" ? t("changedMeanwhile") : problem.message}</p>
      {fields.length > 0 && (
        <ul>
          {fields.map(([field, text]) => (
            <li key={field}>
              {field}: {text}
            </li>
          ))}
        </ul>
      )}
      {again && problem.mayPass && (
        <div>
          <Button onPress={again}>{t("tryAgain")}</Button>
        </div>
      )}
    </div>
  );
}
