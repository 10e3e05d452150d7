import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

interface Props {
  label: string;
  /** How many there are; undefined while it is not known. */
  count: number | undefined;
  /** Whether there are more than were counted. */
  more?: boolean;
  /** What else is to be said, such as how old the oldest is. */
  children?: ReactNode;
  /** Whether any of them is one too many. */
  bad?: boolean;
  to: LinkProps["to"];
  search?: LinkProps["search"];
  hash?: string;
}

/** How many of something there are, with the way to them. */
export function Tile({ label, count, more, children, bad, to, search, hash }: Props) {
  const { t, i18n } = useTranslation();
  const number = count === undefined ? t("admin.overview.unknown") : new Intl.NumberFormat(i18n.language).format(count) + (more ? "+" : "");
  return (
    <li>
      <Link to={to} search={search} hash={hash} className="card tile" data-tone={count === undefined || count === 0 ? undefined : bad ? "bad" : "some"}>
        <span className="number">{number}</span>
        <span className="label">{label}</span>
        {children && <span className="quiet small">{children}</span>}
      </Link>
    </li>
  );
}
