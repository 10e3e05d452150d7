import { useEffect, type ReactNode } from "react";

/** A page: its title, which is the window's too, a picture before it, what can be done on it, and the rest. */
export function Page({ title, icon, lead, actions, children }: { title: string; icon?: ReactNode; lead?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Gatehouse`;
  }, [title]);
  return (
    <div className="stack">
      <div className="row apart">
        {icon ? (
          <div className="named">
            {icon}
            <h1>{title}</h1>
          </div>
        ) : (
          <h1>{title}</h1>
        )}
        {actions && <div className="row">{actions}</div>}
      </div>
      {lead && <div className="quiet">{lead}</div>}
      {children}
    </div>
  );
}
