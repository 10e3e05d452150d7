import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Problem } from "@/api/problem";
import { Button } from "./Button";

/** What went wrong, in the API's words, with what is wrong with each field that is not shown beside it. look leads back to what has changed since it was shown. */
export function ProblemNote({ error, again, look, shown = [] }: { error: unknown; again?: () => void; look?: () => void; shown?: readonly string[] }) {
  const { t } = useTranslation();
  if (!(error instanceof Problem)) {
    return (
      <div className="note" data-tone="bad" role="alert">
        {t("pageFailed")}
      </div>
    );
  }
  const problem = error;
  const changes = problem.reason === "TASK_CHANGED" ? (problem.metadata.changes ?? problem.message).split("\n") : [];
  const fields = Object.entries(problem.fields).filter(([field]) => !shown.includes(field));
  return (
    <div className="note stack tight" data-tone="bad" role="alert">
      <p>{problem.status === 0 ? t("noAnswer") : problem.reason === "ETAG_MISMATCH" ? t("changedMeanwhile") : changes.length > 0 ? t("task.changed") : problem.message}</p>
      {changes.length > 0 && (
        <ul>
          {changes.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
      {look && changes.length > 0 && (
        <div>
          <Button onPress={look}>{t("task.lookAgain")}</Button>
        </div>
      )}
      {problem.reason.startsWith("ALREADY_") && problem.metadata.request && (
        <Link to="/requests/$id" params={{ id: problem.metadata.request }}>
          {t("ask.first")}
        </Link>
      )}
      {fields.length > 0 && (
        <ul>
          {fields.map(([field, text]) => (
            <li key={field}>
              {field}: {text}
            </li>
          ))}
        </ul>
      )}
      {problem.wantsSignIn && (
        <div>
          <Button onPress={confirmIdentity}>{t("signInAgain")}</Button>
        </div>
      )}
      {again && problem.mayPass && (
        <div>
          <Button onPress={again}>{t("tryAgain")}</Button>
        </div>
      )}
    </div>
  );
}

/** Goes to the identity provider of the session once more, and comes back to this page. A form and not a call, beside whatever form the note stands in. */
function confirmIdentity(): void {
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/sign-in/session";
  const { pathname, search } = globalThis.location;
  for (const [name, value] of Object.entries({ purpose: "step-up", return_to: pathname + search })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
}
